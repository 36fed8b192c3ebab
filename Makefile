# SPDX-License-Identifier: GPL-2.0
# make help says what there is. The work is done by tools/lab/*/*.sh.

O ?= build
L := tools/lab
B := $(abspath $(O))$(if $(KDIR),/kdir)

# -j is handed on to the kernel's make as J; without it, one job more than there are CPUs.
J = $(or $(patsubst -j%,%,$(firstword $(filter -j%,$(MAKEFLAGS)))),$(shell expr $$(nproc) + 1))
export J O KDIR BASE_TARBALL FORCE SERIES STEPS BISECT

kernel = $L/tree/kbuild.sh $(B)/$1 $2 $(B)/obj/$1-$2
image = $(B)/obj/$1-lab/arch/arm64/boot/Image
guest = MAKEFLAGS= $(MAKE) -s -C $L/guest OUT=$(B)/guest/$1-lab KOBJ=$(B)/obj/$1-lab

demo: tree ## (the default) the same work on the base and on ours: a picture of the map, and the table of leaves
	@$L/run/demo.sh

check: export NEEDS = check
check: tree ## every test; STEPS=quick is the short one, STEPS="series tools" chooses some
	@$L/check/check.sh

bench: tree ## what fragmentation costs and healing gives back: table, JSON, pictures in build/bench/
	@$(call kernel,base,bench)
	@$(call kernel,linux,bench)
	@$(call kernel,linux,bench-suite)
	@$L/bench/packages.sh $(B)/packages
	@BENCH_PACKAGES=$${BENCH_PACKAGES-$(B)/packages} $L/bench/bench.sh $(addprefix $(B)/obj/,base-bench linux-bench linux-bench-suite) $(B)/bench

soak: ## a list of jobs for hours on machines to spare: the churn by seed, machine, checker; tools/lab/check/soak.sh
	@$L/check/soak.sh

soak-kernels: tree ## the kernels and guests that these jobs boot
	@$L/check/soak.sh kernels

kernel: tree ## the kernel with the series, in build/obj/linux-lab
	@$(call kernel,linux,lab)

base-kernel: tree ## the unmodified base, in build/obj/base-lab
	@$(call kernel,base,lab)

deb: export NEEDS = deb
deb: tree ## Debian packages of both kernels for arm64 hardware, in build/deb/: FLAVOUR=small or cloud, CONFIG=/path; tools/lab/tree/deb.sh
	@$L/tree/deb.sh

try: setup ## any arm64 Image, as it is, through all machines under the auditor: IMAGE=/path [INITRD=/path] [TRY='options']; tools/lab/run/README.md
	@$L/run/try.sh $(TRY) $(if $(IMAGE),"$(IMAGE)") $(if $(INITRD),"$(INITRD)")

initrd: ## the guest for any arm64 kernel, without modules: build/guest/plain/initrd.cpio.gz
	@MAKEFLAGS= $(MAKE) -s -C $L/guest OUT=$(B)/guest/plain

shell: kernel ## boot ours to a shell in the guest
	@$(call guest,linux)
	@$L/run/run.sh -s $(call image,linux) $(B)/guest/linux-lab/initrd.cpio.gz

tree: setup ## build/linux: the base with the series on top (SERIES=40-boot: that one and what it needs); build/base: the base
	@$L/tree/base.sh
	@$L/tree/tree.sh

model: ## the EL2 model (mixed CPUs, Realms) and its test guest: tools/lab/model/README.md
	@MAKEFLAGS= $(MAKE) -s -C $L/model OUT=$(B)/model

series: ## write the commits of build/linux to patches/ and copy the files that they add
	@$L/tree/series.sh

kit: tree ## a tarball to measure both kernels on a real machine: build/kit/leafmap-kit.tar.gz; tools/hw/README.md
	@tools/hw/kit.sh

send: export NEEDS = send
send: setup ## write a series as mails and try them: SERIES=NN-name FROM='A Person <a@example.org>' [VERSION=2]; sends nothing
	@$L/tree/send.sh

drift: ## try the series on each kernel whose source Debian's suites hold now (DRIFT_SUITES); by hand, 1 GiB of download
	@$L/tree/drift.sh

check-series: ## list where patches/, the copies and build/linux differ
	@$L/tree/check-series.sh

setup: ## install what is missing (as root)
	@$L/tree/setup.sh

clean: ## remove objects and results; build/linux and the downloads stay
	rm -rf $(addprefix $(B)/,obj guest tools run check demo demo.txt bisect bench try deb debian)
	@[ ! -d $(B)/linux/.git ] || git -C $(B)/linux worktree prune

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
	@echo
	@echo 'KDIR=/path      take the base from this kernel tree (its HEAD), which is only read'
	@echo 'O=/path         build there instead of build/'
	@echo 'BASE_TARBALL=/path/linux-X.Y.Z.tar.xz   take the base from this file instead of the network'
	@echo 'TREES="base ours"  make check tests the unmodified base, too, in the steps matrix, audit, execmem and dimm (ours)'
	@echo 'ALONE="NN-name"  make check STEPS=alone tests each of these series with only what it needs; without it, all'
	@echo 'BISECT="lab min"  make check builds and boots every commit with these configs (min)'
	@echo 'SERIES="NN-name"  make tree, and what follows from it, takes only these series and what they need; without it, all'
	@echo 'FORCE=1         make tree drops commits that patches/ does not hold'

# One kernel after the other: each uses all jobs.
.NOTPARALLEL:
.PHONY: kit demo check deb try initrd bench soak soak-kernels kernel base-kernel shell tree model series send drift check-series setup clean help
