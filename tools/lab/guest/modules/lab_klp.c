// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of lab_target with a late relocation: the new function reads a
 * variable that nobody exports, and whose address is known only when lab_target is
 * there. By then the text here is read-only, and the kernel has to write to it.
 *
 * No compiler makes such a relocation. In the file it is an ordinary one of an
 * undefined symbol; image_livepatch() of the guest marks both.
 */
#include <linux/livepatch.h>
#include <linux/module.h>

extern int target_number asm("\".klp.sym.lab_target.target_number,0\"");

static int __section(".klp.rela.lab_target.text.answer") klp_answer(void)
{
	return READ_ONCE(target_number) + 1;
}

static struct klp_func funcs[] = {
	{ .old_name = "target_answer", .new_func = klp_answer },
	{ }
};

static struct klp_object objects[] = {
	{ .name = "lab_target", .funcs = funcs },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static int __init klp_init(void)
{
	return klp_enable_patch(&patch);
}
module_init(klp_init);

static void __exit klp_exit(void)
{
}
module_exit(klp_exit);

MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Lab: a livepatch with a late relocation");
MODULE_LICENSE("GPL");
