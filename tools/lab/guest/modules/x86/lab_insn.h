/* SPDX-License-Identifier: GPL-2.0 */
/* Four bytes of text that add one. */
#define LAB_ADD		"addq $1, %0"
