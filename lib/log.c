/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

static void log_line(struct log *log, enum log_level level, const char *fmt, va_list ap)
{
	char text[1024];

	if (!log)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	log->emit(log, level, text);
}

#define LOG_FUNCTION(name, level)                        \
	void name(struct log *log, const char *fmt, ...) \
	{                                                \
		va_list ap;                              \
		va_start(ap, fmt);                       \
		log_line(log, level, fmt, ap);           \
		va_end(ap);                              \
	}

LOG_FUNCTION(log_warn, LOG_WARN)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)
