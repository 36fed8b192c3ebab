# SPDX-License-Identifier: GPL-2.0
# The modules that are not for arm64 alone.
portable := lab_tiny lab_text lab_data lab_export lab_user lab_wrong
