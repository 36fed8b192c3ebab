// SPDX-License-Identifier: GPL-2.0
/*
 * A module's file, changed before the kernel gets it. Many modules come from a few
 * files, for the name that a module goes by stands twice in it; and relocations
 * become a livepatch's.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lab.h"

/* As livepatch has them; not in every <elf.h>. */
#define KLP_RELA	".klp.rela."
#define KLP_SYM		".klp.sym."
#define RELA_LIVEPATCH	0x00100000
#define SYM_LIVEPATCH	0xff20

static bool slurp(const char *path, char **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	struct stat st;
	ssize_t n = 0;

	*data = NULL;
	if (fd < 0)
		return false;
	if (!fstat(fd, &st))
		*data = malloc(st.st_size + 1);
	while (*data && (n = read(fd, *data + got, st.st_size - got)) > 0)
		got += n;
	close(fd);
	*len = got;
	return *data && !n && got == (size_t)st.st_size;
}

static const Elf64_Shdr *find_section(const char *data, size_t len, const char *name)
{
	const Elf64_Ehdr *e = (const void *)data;
	const Elf64_Shdr *s, *names;

	if (len < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_shoff + (size_t)e->e_shnum * sizeof(*s) > len ||
	    e->e_shstrndx >= e->e_shnum)
		return NULL;
	s = (const void *)(data + e->e_shoff);
	names = &s[e->e_shstrndx];
	for (unsigned int i = 0; i < e->e_shnum; i++) {
		if (names->sh_offset + s[i].sh_name < len &&
		    !strcmp(data + names->sh_offset + s[i].sh_name, name))
			return s[i].sh_offset + s[i].sh_size <= len ? &s[i] : NULL;
	}
	return NULL;
}

/* Where @what stands in a section, behind a zero or at its start. */
static char *find_in(char *data, size_t len, const char *section, const char *what)
{
	const Elf64_Shdr *s = find_section(data, len, section);
	char *from, *at;

	if (!s)
		return NULL;
	from = data + s->sh_offset;
	at = memmem(from, s->sh_size, what, strlen(what) + 1);
	return at && (at == from || !at[-1]) ? at : NULL;
}

/**
 * image_read() - a module as a pattern for others
 * @im: filled
 * @module: name of a file in the initrd, which must export nothing and tolerate
 *	others of its kind
 *
 * Ends the process if that can't be had.
 */
void image_read(struct image *im, const char *module)
{
	char path[128], name[80];

	snprintf(path, sizeof(path), MODULES "/%s.ko", module);
	if (!slurp(path, &im->data, &im->len))
		give_up("%s: %s", path, strerror(errno));
	snprintf(name, sizeof(name), "name=%s", module);
	im->in_info = find_in(im->data, im->len, ".modinfo", name);
	im->in_module = find_in(im->data, im->len, ".gnu.linkonce.this_module", module);
	im->room = strlen(module);
	if (!im->in_info || !im->in_module)
		give_up("%s: its name is not where it should be", path);
	im->in_info += strlen("name=");
}

/**
 * image_load() - load a module under another name
 * @im: the pattern
 * @name: no longer than the one it had
 *
 * Return: 0, or what the kernel says.
 */
int image_load(struct image *im, const char *name)
{
	size_t len = strlen(name);

	if (len > im->room)
		give_up("%s: a name of %zu characters at most", name, im->room);
	/* Zeros behind a string of .modinfo belong to no other. */
	memset(im->in_info, 0, im->room);
	memset(im->in_module, 0, im->room);
	memcpy(im->in_info, name, len);
	memcpy(im->in_module, name, len);
	return syscall(SYS_init_module, im->data, im->len, "") ? errno : 0;
}

/*
 * Text of a section .klp.rela.MODULE.text.NAME has its relocations in one with .rela in
 * front, of which livepatch gets the rest; the text is in .text.NAME then.
 */
static bool mark_section(Elf64_Shdr *s, const char *names)
{
	const char *name = names + s->sh_name, *text;

	if (!strncmp(name, ".rela" KLP_RELA, strlen(".rela" KLP_RELA))) {
		s->sh_name += strlen(".rela");
		/* It is to stay when the rest of the file has gone. */
		s->sh_flags |= SHF_ALLOC | RELA_LIVEPATCH;
		return true;
	}
	text = strncmp(name, KLP_RELA, strlen(KLP_RELA)) ? NULL : strstr(name, ".text.");
	if (text)
		s->sh_name += text - name;
	return false;
}

/* Return: there are relocations, and symbols, for livepatch. */
static bool mark_livepatch(char *data, size_t len)
{
	const Elf64_Shdr *table = find_section(data, len, ".symtab");
	Elf64_Ehdr *e = (void *)data;
	unsigned int relas = 0, syms = 0;
	const char *names;
	Elf64_Shdr *s;
	Elf64_Sym *sym;

	if (!table)
		return false;
	s = (void *)(data + e->e_shoff);
	names = data + s[e->e_shstrndx].sh_offset;
	for (unsigned int i = 0; i < e->e_shnum; i++)
		relas += mark_section(&s[i], names);
	names = data + s[table->sh_link].sh_offset;
	sym = (void *)(data + table->sh_offset);
	for (size_t i = 0; i < table->sh_size / sizeof(*sym); i++) {
		if (!strncmp(names + sym[i].st_name, KLP_SYM, strlen(KLP_SYM))) {
			sym[i].st_shndx = SYM_LIVEPATCH;
			syms++;
		}
	}
	return relas && syms;
}

/**
 * image_livepatch() - load a livepatch with late relocations
 * @path: its file, in which they are ordinary ones, see lab_klp
 *
 * Return: 0, or what the kernel says.
 */
int image_livepatch(const char *path)
{
	char *data;
	size_t len;
	int err;

	if (!slurp(path, &data, &len))
		return errno;
	if (!mark_livepatch(data, len))
		give_up("%s: it has no late relocation", path);
	err = syscall(SYS_init_module, data, len, "") ? errno : 0;
	free(data);
	return err;
}
