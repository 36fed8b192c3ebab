// SPDX-License-Identifier: GPL-2.0
/*
 * The Realm Services Interface 1.0 (RMM specification, DEN 0137): what a
 * Realm asks of the RMM. The model is the RMM and the host behind it in one.
 *
 * Each command checks what the specification lists as its failure conditions.
 * A guest has no reason to meet one with an address, so that is reported as a
 * fault; with el2.inject the guest gets the error code and goes on.
 * Nobody has measured this Realm and nobody can vouch for it: measurements
 * read as zero and can't be extended, and a token is begun but never made.
 */
#include "model.h"

#define RSI_VERSION			0xc4000190
#define RSI_FEATURES			0xc4000191
#define RSI_MEASUREMENT_READ		0xc4000192
#define RSI_MEASUREMENT_EXTEND		0xc4000193
#define RSI_ATTESTATION_TOKEN_INIT	0xc4000194
#define RSI_ATTESTATION_TOKEN_CONTINUE	0xc4000195
#define RSI_REALM_CONFIG		0xc4000196
#define RSI_IPA_STATE_SET		0xc4000197
#define RSI_IPA_STATE_GET		0xc4000198
#define RSI_HOST_CALL			0xc4000199

#define RSI_SUCCESS			0
#define RSI_ERROR_INPUT			1
#define RSI_ERROR_STATE			2
#define RSI_ERROR_UNKNOWN		4

#define RSI_VERSION_1_0			0x10000
#define RSI_ACCEPT			0
#define RSI_REJECT			1
#define RSI_CHANGE_DESTROYED		BIT(0)

#define MEASUREMENTS			5	/* the initial one and four that may be extended */
#define MEASUREMENT_SIZE		64
#define TOKEN_MAX_SIZE			GRANULE
#define HASH_SHA_256			0

/* RsiRealmConfig, a granule */
struct realm_config {
	u64 ipa_width;
	u64 hash_algo;
	u8 reserved1[0x200 - 16];
	u8 rpv[64];
	u8 reserved2[0x1000 - 0x240];
};
_Static_assert(sizeof(struct realm_config) == GRANULE, "RsiRealmConfig");

/* RsiHostCall */
struct host_call {
	u16 imm;
	u64 gprs[31];
};
_Static_assert(sizeof(struct host_call) == 0x100, "RsiHostCall");

static bool is_aligned(u64 value, u64 to)
{
	return !(value & (to - 1));
}

static bool is_protected(u64 ipa)
{
	return ipa < SHARED;
}

/*
 * The memory of a structure that the Realm hands over by its protected
 * address. s2_lock is held while the model touches it, so that its RIPAS stays
 * what it is.
 */
static void *realm_memory(u64 ipa)
{
	return in_guest_ram(ipa) && ripas_get(ipa) == RIPAS_RAM ? (void *)ipa : NULL;
}

static void bad_input(struct regs *regs, u64 ipa, const char *what)
{
	fault(regs, ipa, "%s", what);
	regs->x[0] = RSI_ERROR_INPUT;
	regs->x[1] = 0;
	regs->x[2] = 0;
}

static void version(struct regs *regs)
{
	u64 requested = regs->x[1];

	regs->x[0] = requested == RSI_VERSION_1_0 ? RSI_SUCCESS : RSI_ERROR_INPUT;
	regs->x[1] = RSI_VERSION_1_0;
	regs->x[2] = RSI_VERSION_1_0;
}

static void features(struct regs *regs)
{
	/* 1.0 defines no bit of any of them. */
	regs->x[0] = RSI_SUCCESS;
	regs->x[1] = 0;
}

static void measurement_read(struct regs *regs)
{
	if (regs->x[1] >= MEASUREMENTS) {
		regs->x[0] = RSI_ERROR_INPUT;
		return;
	}
	regs->x[0] = RSI_SUCCESS;
	for (u32 i = 1; i <= MEASUREMENT_SIZE / 8; i++)
		regs->x[i] = 0;
}

static void measurement_extend(struct regs *regs)
{
	u64 index = regs->x[1], size = regs->x[2];

	if (!index || index >= MEASUREMENTS || size > MEASUREMENT_SIZE)
		regs->x[0] = RSI_ERROR_INPUT;
	else
		regs->x[0] = RSI_ERROR_UNKNOWN;
}

static void token_init(struct regs *regs)
{
	this_cpu()->attesting = true;
	regs->x[0] = RSI_SUCCESS;
	regs->x[1] = TOKEN_MAX_SIZE;
}

static void token_continue(struct regs *regs)
{
	u64 ipa = regs->x[1], offset = regs->x[2], size = regs->x[3];
	struct cpu *cpu = this_cpu();

	if (!is_aligned(ipa, GRANULE) || !is_protected(ipa) || offset >= GRANULE ||
	    offset + size < offset || offset + size > GRANULE) {
		bad_input(regs, ipa, "RSI_ATTESTATION_TOKEN_CONTINUE with this buffer; "
			  "expected one inside a protected granule");
	} else if (!cpu->attesting) {
		regs->x[1] = 0;
		regs->x[0] = RSI_ERROR_STATE;
	} else {
		regs->x[1] = 0;
		cpu->attesting = false;
		regs->x[0] = RSI_ERROR_UNKNOWN;
	}
}

static void realm_config(struct regs *regs)
{
	u64 ipa = regs->x[1];
	struct realm_config *config;

	lock(&s2_lock);
	config = is_aligned(ipa, GRANULE) ? realm_memory(ipa) : NULL;
	if (!config) {
		bad_input(regs, ipa, "RSI_REALM_CONFIG to this address; "
			  "expected the start of a protected granule whose RIPAS is RAM");
	} else {
		memset(config, 0, sizeof(*config));
		config->ipa_width = IPA_BITS;
		config->hash_algo = HASH_SHA_256;
		clean_to_poc(ipa, sizeof(*config));
		regs->x[0] = RSI_SUCCESS;
	}
	unlock(&s2_lock);
}

static bool is_range(u64 base, u64 top)
{
	return is_aligned(base, GRANULE) && is_aligned(top, GRANULE) && base < top &&
	       is_protected(top - 1);
}

/*
 * A request that meets a granule that must not change ends there. If that is
 * the first one, the host has refused.
 */
static void ipa_state_set(struct regs *regs)
{
	u64 base = regs->x[1], top = regs->x[2], ripas = regs->x[3], flags = regs->x[4], end;

	if (!is_range(base, top)) {
		bad_input(regs, base, "RSI_IPA_STATE_SET from this address; "
			  "expected a range of protected granules with the end behind the start");
		return;
	}
	if (ripas != RIPAS_EMPTY && ripas != RIPAS_RAM) {
		bad_input(regs, base, "RSI_IPA_STATE_SET to another RIPAS; expected EMPTY or RAM");
		return;
	}
	lock(&s2_lock);
	end = ripas_set(base, top, ripas, flags & RSI_CHANGE_DESTROYED);
	unlock(&s2_lock);
	regs->x[0] = RSI_SUCCESS;
	regs->x[1] = end;
	regs->x[2] = end == base ? RSI_REJECT : RSI_ACCEPT;
}

static void ipa_state_get(struct regs *regs)
{
	u64 base = regs->x[1], top = regs->x[2];
	enum ripas ripas;

	if (!is_range(base, top)) {
		bad_input(regs, base, "RSI_IPA_STATE_GET from this address; "
			  "expected a range of protected granules with the end behind the start");
		return;
	}
	lock(&s2_lock);
	regs->x[1] = ripas_run(base, top, &ripas);
	unlock(&s2_lock);
	regs->x[0] = RSI_SUCCESS;
	regs->x[2] = ripas;
}

/* The host gets what is in the structure for a call of its own. This one offers none. */
static void host_call(struct regs *regs)
{
	u64 ipa = regs->x[1];
	struct host_call *call;

	lock(&s2_lock);
	call = is_aligned(ipa, sizeof(*call)) ? realm_memory(ipa) : NULL;
	if (!call) {
		bad_input(regs, ipa, "RSI_HOST_CALL with this address; "
			  "expected a multiple of 256 in a protected granule whose RIPAS is RAM");
	} else {
		call->gprs[0] = SMCCC_NOT_SUPPORTED;
		clean_to_poc(ipa, sizeof(*call));
		regs->x[0] = RSI_SUCCESS;
	}
	unlock(&s2_lock);
}

static const struct {
	u32 function;
	void (*run)(struct regs *regs);
} commands[] = {
	{ RSI_VERSION, version },
	{ RSI_FEATURES, features },
	{ RSI_MEASUREMENT_READ, measurement_read },
	{ RSI_MEASUREMENT_EXTEND, measurement_extend },
	{ RSI_ATTESTATION_TOKEN_INIT, token_init },
	{ RSI_ATTESTATION_TOKEN_CONTINUE, token_continue },
	{ RSI_REALM_CONFIG, realm_config },
	{ RSI_IPA_STATE_SET, ipa_state_set },
	{ RSI_IPA_STATE_GET, ipa_state_get },
	{ RSI_HOST_CALL, host_call },
};

bool rsi_call(struct regs *regs)
{
	if (!machine.realm)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].function == (u32)regs->x[0]) {
			commands[i].run(regs);
			return true;
		}
	}
	return false;
}
