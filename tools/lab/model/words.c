// SPDX-License-Identifier: GPL-2.0
/*
 * The model's parameters: the words of the kernel's command line that begin
 * with "el2.". They are blanked there, so that the guest does not see them.
 */
#include "audit/audit.h"
#include "model.h"

#define NEOVERSE_N3	0x410fd8e0	/* on Linux' list of CPUs with BBML3 */
#define BBM_LEVEL_3	3
#define MAX_WORD	64

/* What a word may say about CPUs; the last one holds. */
static struct {
	u32 nobbml3;		/* a bit for each CPU */
	u32 midr_given;
	u32 bbm_given;
	u32 midr[MAX_CPUS];
	u8 bbm[MAX_CPUS];
} given;

/* As far as the model knows; Linux has some more MIDRs. */
static bool has_bbml3(u32 midr, u8 bbm)
{
	return bbm == BBM_LEVEL_3 || midr == NEOVERSE_N3;
}

static bool digit(char c, unsigned int base, unsigned int *value)
{
	if (c >= '0' && c <= '9')
		*value = c - '0';
	else if (c >= 'a' && c <= 'f')
		*value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		*value = c - 'A' + 10;
	else
		return false;
	return *value < base;
}

/*
 * A number, 0x for a hexadecimal one.
 *
 * Return: what is behind it, or NULL if there is none or it is above @max.
 */
static const char *number(const char *p, u64 max, u64 *value)
{
	unsigned int base = 10, d;
	bool any = false;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	for (*value = 0; digit(*p, base, &d); p++) {
		if (*value > (max - d) / base)
			return NULL;
		*value = *value * base + d;
		any = true;
	}
	return any && *value <= max ? p : NULL;
}

/* CPUs, as in "1,3-5". Return: what is behind it, or NULL. */
static const char *cpu_list(const char *p, u32 *cpus)
{
	*cpus = 0;
	for (;; p++) {
		u64 first, last;

		p = number(p, MAX_CPUS - 1, &first);
		if (!p)
			return NULL;
		last = first;
		if (*p == '-')
			p = number(p + 1, MAX_CPUS - 1, &last);
		if (!p || last < first || last >= machine.ncpus)
			return NULL;
		for (; first <= last; first++)
			*cpus |= BIT(first);
		if (*p != ',')
			return p;
	}
}

static bool has_colon(const char *p)
{
	while (*p && *p != ':')
		p++;
	return *p;
}

/* VALUE for all CPUs, or CPUS:VALUE. */
static bool cpus_and_value(const char *p, u64 max, u32 *cpus, u64 *value)
{
	*cpus = BIT(machine.ncpus) - 1;
	if (has_colon(p)) {
		p = cpu_list(p, cpus);
		if (!p || *p++ != ':')
			return false;
	}
	p = number(p, max, value);
	return p && !*p;
}

static bool word_nobbml3(const char *p)
{
	p = cpu_list(p, &given.nobbml3);
	return p && !*p;
}

static bool word_cpu_on_fails(const char *p)
{
	p = cpu_list(p, &machine.cpu_on_fails);
	return p && !*p;
}

static bool word_midr(const char *p)
{
	u32 cpus;
	u64 value;

	if (!cpus_and_value(p, 0xffffffff, &cpus, &value))
		return false;
	for (u32 i = 0; i < machine.ncpus; i++) {
		if (cpus & BIT(i))
			given.midr[i] = value;
	}
	given.midr_given |= cpus;
	return true;
}

static bool word_bbm(const char *p)
{
	u32 cpus;
	u64 value;

	if (!cpus_and_value(p, BBM_LEVEL_3, &cpus, &value))
		return false;
	for (u32 i = 0; i < machine.ncpus; i++) {
		if (cpus & BIT(i))
			given.bbm[i] = value;
	}
	given.bbm_given |= cpus;
	return true;
}

static bool address(const char *p, u64 *value)
{
	p = number(p, ~0UL >> 1, value);
	return p && !*p;
}

static bool granule(const char *p, u64 *value)
{
	return address(p, value) && !(*value & (GRANULE - 1)) && in_guest_ram(*value);
}

static bool word_image(const char *p)
{
	return address(p, &machine.image) && in_guest_ram(machine.image);
}

static bool word_empty(const char *p)
{
	return granule(p, &machine.empty);
}

static bool word_destroyed(const char *p)
{
	return granule(p, &machine.destroyed);
}

/* NAME[,NAME...] */
static bool word_audit_allow(const char *name)
{
	while (*name) {
		if (begins(name, "tagged")) {
			machine.audit_allow |= AUDIT_ALLOW_TAGGED;
			name += 6;
		} else if (begins(name, "early")) {
			machine.audit_allow |= AUDIT_ALLOW_EARLY;
			name += 5;
		} else if (begins(name, "wx")) {
			machine.audit_allow |= AUDIT_ALLOW_WX;
			name += 2;
		} else {
			return false;
		}
		if (*name == ',' && name[1])
			name++;
		else if (*name)
			return false;
	}
	return machine.audit_allow;
}

static bool word_audit_trace(const char *p)
{
	u64 mib;

	p = number(p, 4096, &mib);
	machine.trace_mib = mib;
	return p && !*p && mib;
}

/* Words with @flag take no value. */
static const struct {
	const char *name;
	bool *flag;
	bool (*parse)(const char *value);
	const char *expected;
} words[] = {
	{ "el2.realm", &machine.realm, NULL, "no value" },
	{ "el2.inject", &machine.inject, NULL, "no value" },
	{ "el2.audit", &machine.audit, NULL, "no value" },
	{ "el2.audit.gaps", &machine.audit_gaps, NULL, "no value" },
	{ "el2.audit.allow=", NULL, word_audit_allow, "names out of tagged, early and wx, as in tagged,early" },
	{ "el2.audit.trace=", NULL, word_audit_trace, "MiB at most, from 1 to 4096, as in 64" },
	{ "el2.nobbml3=", NULL, word_nobbml3, "CPUs that there are, as in 1,3-5" },
	{ "el2.cpu_on_fails=", NULL, word_cpu_on_fails, "CPUs that there are, as in 1,3-5" },
	{ "el2.midr=", NULL, word_midr, "VALUE or CPUS:VALUE, as in 3:0x410fd8e0" },
	{ "el2.bbm=", NULL, word_bbm, "LEVEL or CPUS:LEVEL with a level from 0 to 3, as in 0-2:3" },
	{ "el2.image=", NULL, word_image, "an address in the guest's memory" },
	{ "el2.empty=", NULL, word_empty, "the address of a 4K granule in the guest's memory" },
	{ "el2.destroyed=", NULL, word_destroyed, "the address of a 4K granule in the guest's memory" },
};

static void take(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *value = word;

		if (words[i].flag ? !same(word, words[i].name) : !begins(word, words[i].name))
			continue;
		if (words[i].flag) {
			*words[i].flag = true;
			return;
		}
		for (const char *name = words[i].name; *name; name++)
			value++;
		if (!words[i].parse(value))
			fail("%s: expected %s", word, words[i].expected);
		return;
	}
	fail("%s: no such word; there are el2.realm el2.inject el2.audit el2.audit.gaps el2.audit.allow= "
	     "el2.audit.trace= el2.nobbml3= el2.cpu_on_fails= el2.midr= el2.bbm= el2.image= el2.empty= "
	     "el2.destroyed=", word);
}

/* What each CPU is to say of itself. */
static void identify(void)
{
	u32 midr = read_sysreg(midr_el1);
	u8 bbm = id_field(ID_AA64MMFR2_EL1, ID_AA64MMFR2_BBM);

	if (given.nobbml3 && has_bbml3(midr, bbm))
		fail("el2.nobbml3= needs a CPU without BBML3 to begin with: start QEMU with -cpu max");
	for (u32 i = 0; i < machine.ncpus; i++) {
		struct cpu *cpu = &machine.cpu[i];

		cpu->midr = given.nobbml3 & BIT(i) ? midr : NEOVERSE_N3;
		cpu->bbm = bbm;
		if (given.midr_given & BIT(i))
			cpu->midr = given.midr[i];
		if (given.bbm_given & BIT(i))
			cpu->bbm = given.bbm[i];
		cpu->bbml3 = has_bbml3(cpu->midr, cpu->bbm);
	}
}

/**
 * words_read() - take the model's words from the command line
 * @line: it, changed in place
 */
void words_read(struct fdt_words line)
{
	char *p = line.text, *end = line.text + line.len;

	while (p < end && *p) {
		char word[MAX_WORD];
		u32 len = 0;

		if (*p == ' ') {
			p++;
			continue;
		}
		if (!begins(p, "el2.")) {
			while (p < end && *p && *p != ' ')
				p++;
			continue;
		}
		while (p < end && *p && *p != ' ') {
			if (len == MAX_WORD - 1)
				fail("a word that begins with el2. has more than %u letters", MAX_WORD - 1);
			word[len++] = *p;
			*p++ = ' ';
		}
		word[len] = 0;
		take(word);
	}

	if (!machine.realm && (machine.empty || machine.destroyed))
		fail("el2.empty= and el2.destroyed= are for a Realm: add el2.realm");
	if (!machine.audit && (machine.audit_gaps || machine.audit_allow || machine.trace_mib))
		fail("el2.audit.gaps, el2.audit.allow= and el2.audit.trace= are for an audit: add el2.audit");
	identify();
}

/* CPUs as a list: "0-2,5", or "none". */
static void list(u32 cpus, char *text)
{
	for (u32 i = 0; i < machine.ncpus; i++) {
		u32 last = i;

		if (!(cpus & BIT(i)))
			continue;
		while (last + 1 < machine.ncpus && (cpus & BIT(last + 1)))
			last++;
		*text++ = '0' + i;
		if (last > i) {
			*text++ = '-';
			*text++ = '0' + last;
		}
		*text++ = ',';
		i = last;
	}
	if (cpus)
		text[-1] = 0;
	else
		memcpy(text, "none", sizeof("none"));
}

/**
 * words_banner() - say what machine this is
 *
 * One line, and one more for each CPU that el2.midr= or el2.bbm= is about.
 */
void words_banner(void)
{
	char cpus[3 * MAX_CPUS];
	u32 bbml3 = 0;

	for (u32 i = 0; i < machine.ncpus; i++) {
		if (machine.cpu[i].bbml3)
			bbml3 |= BIT(i);
	}
	list(bbml3, cpus);
	say("%s, %u CPU%s, %lu MiB, BBML3 on CPUs %s", machine.realm ? "Realm" : "plain",
	    machine.ncpus, machine.ncpus > 1 ? "s" : "", (machine.ram_end - RAM_BASE) / MIB, cpus);
	for (u32 i = 0; i < machine.ncpus; i++) {
		if ((given.midr_given | given.bbm_given) & BIT(i))
			say("CPU %u: MIDR 0x%x, BBM %u", i, machine.cpu[i].midr, machine.cpu[i].bbm);
	}
}
