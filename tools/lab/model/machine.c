// SPDX-License-Identifier: GPL-2.0
/*
 * What machine it is. words.c and fdt.c fill it in, and everybody reads it.
 */
#include "model.h"

struct machine machine;
