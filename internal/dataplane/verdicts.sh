#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verdicts.sh TYPES.H OUT.GO: the names of verdicts and their comments, as people read them.
set -eu
{
	echo '// SPDX-License-Identifier: Apache-2.0'
	echo
	echo '// Code generated from bpf/types.h by verdicts.sh; DO NOT EDIT.'
	echo
	echo 'package dataplane'
	echo
	echo '// verdictTexts says of every exit of the path what it is called and what it means.'
	echo 'var verdictTexts = map[pathVerdict]verdictText{'
	sed -n 's|^	VERDICT_\([A-Z0-9_]*\), */\* \(.*\) \*/$|\1 \2|p' "$1" | while read -r name help; do
		[ "$name" = CONTINUE ] && continue
		echo "	pathVerdictVERDICT_$name: {\"$(echo "$name" | tr A-Z a-z)\", \"$help\"},"
	done
	echo '}'
} > "$2"
gofmt -w "$2"
