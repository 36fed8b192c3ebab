// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor: what it says. One line for each violation, up to a limit for
 * each rule; all of them are counted.
 */
#include "books.h"

#define LINES_PER_RULE	6

static const char * const names[RULES] = {
	[RULE_OA] = "oa", [RULE_TYPE] = "type", [RULE_SHARE] = "share", [RULE_GLOBAL] = "global",
	[RULE_RESIZE] = "resize", [RULE_CONT] = "cont", [RULE_HOLE] = "hole", [RULE_STALE] = "stale",
	[RULE_WALK] = "walk", [RULE_REUSE] = "reuse", [RULE_ORDER] = "order", [RULE_WX] = "wx",
	[RULE_GRANT] = "grant", [RULE_GAP] = "gap", [RULE_NOTHING] = "nothing",
	[RULE_FILL] = "order", [RULE_NOTED] = "gap",
};

/* Where the Arm ARM (DDI 0487) says so: titles, because numbers differ by its issue. */
static const char * const sections[RULES] = {
	[RULE_OA] = "Using break-before-make when updating translation table entries",
	[RULE_TYPE] = "Using break-before-make when updating translation table entries",
	[RULE_SHARE] = "Using break-before-make when updating translation table entries",
	[RULE_GLOBAL] = "Using break-before-make when updating translation table entries",
	[RULE_RESIZE] = "FEAT_BBM, Support levels for changing table or block size",
	[RULE_CONT] = "The Contiguous bit; Misprogramming the Contiguous bit",
	[RULE_HOLE] = "Using break-before-make when updating translation table entries",
	[RULE_STALE] = "TLB maintenance requirements; TLB maintenance instructions",
	[RULE_WALK] = "TLB maintenance requirements; Caching of translation table walks",
	[RULE_REUSE] = "TLB maintenance requirements; Caching of translation table walks",
	[RULE_ORDER] = "Ordering and completion of TLB maintenance instructions",
	[RULE_WX] = "Memory access control",
	[RULE_GRANT] = "Hierarchical control of data access and instruction execution permissions",
	[RULE_GAP] = "FEAT_BBM, Support levels for changing table or block size",
	[RULE_NOTHING] = "none",
	[RULE_FILL] = "Translation table walks and the memory model",
	[RULE_NOTED] = "FEAT_BBM, Support levels for changing table or block size",
};

/* A line that is being made: what is too long is cut off. */
struct text {
	char *at;
	u32 len, size;
};

static bool is_noted(enum rule rule)
{
	return rule == RULE_NOTED || setup.noted;
}

static void add(struct text *text, const char *what)
{
	while (*what && text->len < text->size - 1)
		text->at[text->len++] = *what++;
	text->at[text->len] = 0;
}

static void add_number(struct text *text, u64 value, u32 base)
{
	char digits[24], *p = &digits[sizeof(digits) - 1];

	*p = 0;
	do {
		*--p = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	add(text, p);
}

/* %s, %u, %lu and %lx; the compiler checks the arguments. */
static void add_format(struct text *text, const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool wide = fmt[0] == '%' && fmt[1] == 'l';

		if (*fmt != '%') {
			add(text, (const char[]){ *fmt, 0 });
			continue;
		}
		fmt += wide ? 2 : 1;
		if (*fmt == 's')
			add(text, va_arg(args, const char *));
		else
			add_number(text, wide ? va_arg(args, u64) : va_arg(args, u32), *fmt == 'x' ? 16 : 10);
	}
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[AUDIT_LINE];
	struct text text = { .at = line, .size = sizeof(line) };
	va_list args;

	va_start(args, fmt);
	add_format(&text, fmt, args);
	va_end(args);
	calls.say(line);
}

/* There is no room for more: "more than 16 roots" */
void audit_fail(const char *what, u64 number, const char *of)
{
	char line[AUDIT_LINE];
	struct text text = { .at = line, .size = sizeof(line) };

	add(&text, "audit: ");
	add(&text, what);
	add(&text, " ");
	add_number(&text, number, 10);
	add(&text, " ");
	add(&text, of);
	calls.fail(line);
}

static void add_size(struct text *text, u64 size)
{
	u32 unit = 0;

	for (; size >= 1024 && unit < 4; size /= 1024)
		unit++;
	add_number(text, size, 10);
	add(text, (const char * const []){ "B", "K", "M", "G", "T" }[unit]);
}

static const char *type_name(u64 desc)
{
	u8 attr = regime.mair >> 8 * S1_ATTRINDX(desc);

	switch (attr) {
	case 0xff: return "Normal";
	case 0xf0: return "Normal-Tagged";
	case 0x44: return "Normal-NC";
	case 0xbb: return "Normal-WT";
	}
	return attr < 0x10 ? "Device" : "Normal-other";
}

static void decode(struct text *text, u64 desc, int level)
{
	u8 may;

	if (desc_is_table(desc, level)) {
		add(text, "table 0x");
		add_number(text, table_address(desc), 16);
		if (desc & S1_PXN_TABLE)
			add(text, " PXNTable");
		if (desc & S1_UXN_TABLE)
			add(text, " UXNTable");
		if (desc & S1_AP_TABLE_RO)
			add(text, " ROTable");
		return;
	}
	if (!desc_is_leaf(desc, level)) {
		add(text, desc & DESC_VALID ? "reserved" : "invalid");
		return;
	}
	may = rights(desc, 0);
	add_size(text, level_span(level));
	add(text, desc & S1_CONT ? " contiguous 0x" : " 0x");
	add_number(text, leaf_address(desc, level), 16);
	add(text, may & RIGHT_W ? " RW" : " RO");
	add(text, may & RIGHT_X ? "X " : " ");
	add(text, type_name(desc));
	if (!geo.lpa && S1_SH(desc) != 3)
		add(text, S1_SH(desc) == 2 ? " outer" : " non-shareable");
	if (desc & S1_NG)
		add(text, " nG");
	if (may & RIGHT_U)
		add(text, " EL0");
	if (!(desc & DESC_AF))
		add(text, " old");
}

static void decode_cpus(struct text *text, u32 cpus)
{
	for (u32 i = 0; i < setup.cpus; i++) {
		if (!(cpus & BIT(i)))
			continue;
		if (text->len)
			add(text, ",");
		add_number(text, i, 10);
	}
	if (!text->len)
		add(text, "none");
}

/**
 * violation() - count one, and say it unless there were many; also what is but noted
 * @rule: which
 * @va: the address
 * @level: of @old
 * @old: what may be cached
 * @new_level: of @new
 * @new: what the tables say
 * @cpus: who may hold @old
 * @who: whose store or TLBI it was
 * @what: what is wrong
 * @expected: what would be right
 */
void violation(enum rule rule, u64 va, int level, u64 old, int new_level, u64 new, u32 cpus,
	       const struct who *who, const char *what, const char *expected)
{
	char was_line[120], is_line[120], held_line[24];
	struct text was = { .at = was_line, .size = sizeof(was_line) };
	struct text is = { .at = is_line, .size = sizeof(is_line) };
	struct text held = { .at = held_line, .size = sizeof(held_line) };

	if (rule != RULE_NOTED) {
		counts.violations++;
		counts.recent |= BIT(rule);
	}
	if (counts.by_rule[rule]++ >= LINES_PER_RULE)
		return;
	decode(&was, old, level);
	decode(&is, new, new_level);
	decode_cpus(&held, cpus);
	say("%s audit %s: va 0x%lx level %s%u old 0x%lx (%s) new 0x%lx (%s) cpu %u pc 0x%lx lr 0x%lx "
		  "event %lu held by CPUs %s: %s; expected %s (DDI 0487, %s)",
		  is_noted(rule) ? "noted" : "FAULT", names[rule], va, level < 0 ? "-" : "",
		  (u32)(level < 0 ? -level : level), old, was.at, new, is.at, who->cpu, who->pc, who->lr,
		  who->event, held.at, what, expected, sections[rule]);
}

/* The last lines: what was audited. */
void audit_summary(u64 vbar)
{
	u64 bad = counts.violations;

	if (!counts.stores || !counts.tlbis || !counts.ttbr1 || !counts.peak_tables) {
		bad++;
		say("FAULT audit nothing: %lu stores, %lu TLBIs, %lu writes of TTBR1_EL1, %u tables: "
			  "nothing was audited; expected a guest that sets its MMU up", counts.stores,
			  counts.tlbis, counts.ttbr1, counts.peak_tables);
	}
	for (u32 i = 0; i < RULES; i++) {
		if (counts.by_rule[i] > LINES_PER_RULE)
			say("%s audit %s: %lu of these, of which %u were reported",
				  is_noted(i) ? "noted" : "FAULT", names[i], counts.by_rule[i], (u32)LINES_PER_RULE);
	}
	say("audit: %lu stores (%lu changed an entry, %lu were decoded), %lu TLBIs of the kernel's half "
		  "and %lu of the other, %lu writes of TTBR1_EL1, %u tables at most, %lu violations; "
		  "%lu resizes, %lu breaks, %lu gaps, %lu entries stale at most, %lu left to be "
		  "invalidated lazily, %lu not followed, %lu exclusives repeated; vbar 0x%lx",
		  counts.stores, counts.changes, counts.decoded, counts.tlbis, counts.user_tlbis,
		  counts.ttbr1, counts.peak_tables, bad, counts.resizes, counts.breaks, counts.gaps,
		  counts.peak_stale, counts.lazy, counts.unfollowed, counts.exclusives_failed,
		  vbar);
}

/* The first violation of a change; what else is wrong with it mostly follows from that. */
void report(struct change *c, enum rule rule, u64 va, u64 old, int old_level, u64 new,
		   int new_level, u32 cpus, const char *what)
{
	if (c->said)
		return;
	c->said = true;
	violation(rule, va, old_level, old, new_level, new, cpus, c->who, what,
		  rule == RULE_WX || rule == RULE_GRANT ? "neither at any time" :
							  "break-before-make: invalid, TLBI, DSB, and then this");
}
