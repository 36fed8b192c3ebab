// SPDX-License-Identifier: GPL-2.0
/*
 * The console, and the end of a run that went wrong.
 *
 * The console is the guest's PL011. Every line of the model begins with
 * "el2: "; run.sh takes one that goes on with FAULT or error for a failure.
 */
#include "model.h"

#define UARTDR		(*(volatile u32 *)(UART_BASE + 0x00))
#define UARTFR		(*(volatile u32 *)(UART_BASE + 0x18))
#define UARTFR_TXFF	BIT(5)
#define UARTCR		(*(volatile u32 *)(UART_BASE + 0x30))
#define UARTCR_UARTEN	BIT(0)
#define UARTCR_TXE	BIT(8)

static struct lock console;
static bool ending;
static const struct guest_stops *guest;	/* NULL: there is none yet, and maybe no EL2 */

/* report_guest() - there is a guest now, that writes to the console, too */
void report_guest(const struct guest_stops *stops)
{
	guest = stops;
}

void uart_init(void)
{
	UARTCR |= UARTCR_UARTEN | UARTCR_TXE;
}

static void put_char(char c)
{
	while (UARTFR & UARTFR_TXFF)
		;
	UARTDR = (u8)c;
}

static void put_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			put_char('\r');
		put_char(*text);
	}
}

static void put_number(u64 value, unsigned int base)
{
	char digits[24];
	char *p = &digits[sizeof(digits) - 1];

	*p = 0;
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put_text(p);
}

/* %s, %u, %lu, %x and %lx; the compiler checks the arguments. */
static void put_format(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool wide = false;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		fmt++;
		if (*fmt == 'l') {
			wide = true;
			fmt++;
		}
		switch (*fmt) {
		case 's':
			put_text(va_arg(args, const char *));
			break;
		case 'u':
			put_number(wide ? va_arg(args, u64) : va_arg(args, u32), 10);
			break;
		case 'x':
			put_number(wide ? va_arg(args, u64) : va_arg(args, u32), 16);
			break;
		default:
			put_char('?');
		}
	}
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	lock(&console);
	put_text("el2: ");
	put_format(fmt, args);
	put_text("\n");
	unlock(&console);
	va_end(args);
}

/*
 * The same while the guest runs and may be in the middle of a line of its own:
 * the line stands alone, and no guest writes into it.
 */
void say_alone(const char *fmt, ...)
{
	va_list args;

	guest->pause();
	va_start(args, fmt);
	lock(&console);
	put_text("\nel2: ");
	put_format(fmt, args);
	put_text("\n");
	unlock(&console);
	va_end(args);
	guest->resume();
}

/* A CPU that comes to EL2, or is about to leave it, while another ends the run. */
void halt_if_ending(void)
{
	while (__atomic_load_n(&ending, __ATOMIC_ACQUIRE))
		asm volatile("wfe");
}

/*
 * One CPU alone reports, and no guest may run while it does: its output would
 * tear the line. With nothing mapped at stage 2 each of the others comes to
 * EL2 with its next instruction and stays there.
 */
static void begin_end(void)
{
	if (__atomic_exchange_n(&ending, true, __ATOMIC_ACQ_REL))
		halt_if_ending();
	if (guest)
		guest->stop();
	put_text("\n"); /* the guest may be in the middle of a line */
}

/**
 * fail() - the run can't go on, and the guest is not to blame
 * @fmt: one line
 */
void fail(const char *fmt, ...)
{
	va_list args;

	begin_end();
	va_start(args, fmt);
	put_text("el2: error: ");
	put_format(fmt, args);
	put_text("\n");
	va_end(args);
	power_off();
}

/**
 * fault() - the guest did what it must not
 * @regs: its registers
 * @ipa: the address
 * @fmt: what it did, and what was expected
 *
 * Ends the run, unless el2.inject asks to go on: then it returns, and the
 * caller gives the guest the exception or the error code that a real machine
 * would.
 */
void fault(const struct regs *regs, u64 ipa, const char *fmt, ...)
{
	va_list args;

	if (machine.inject) {
		lock(&console);
		put_text("\nel2: noted cpu ");
	} else {
		begin_end();
		put_text("el2: FAULT cpu ");
	}
	put_number(this_cpu()->index, 10);
	put_text(" pc 0x");
	put_number(regs->pc, 16);
	put_text(" lr 0x");
	put_number(regs->x[30], 16);
	put_text(" ipa 0x");
	put_number(ipa, 16);
	put_text(": ");
	va_start(args, fmt);
	put_format(fmt, args);
	va_end(args);
	put_text("\n");
	if (!machine.inject)
		power_off();
	unlock(&console);
}
