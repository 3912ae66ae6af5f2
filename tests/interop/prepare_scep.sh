#!/bin/sh
# Builds micromdm's scepclient, as its module is: 2.1.0 is the last version that Debian 12's Go 1.19 compiles.
#
#   prepare_scep.sh [FOLDER]      default: .interop/go of the source tree
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=${1:-$here/../../.interop/go}
version=v2.1.0

mkdir -p "$folder/bin"
folder=$(CDPATH='' cd -- "$folder" && pwd)
if [ -x "$folder/bin/scepclient" ] && [ "$(cat "$folder/.scepclient" 2>/dev/null)" = "$version" ]; then
    echo "$folder/bin/scepclient is ready"
    exit 0
fi
command -v go >/dev/null || { echo "prepare_scep.sh: go is not installed" >&2; exit 77; }
GOBIN=$folder/bin GOFLAGS=-modcacherw go install "github.com/micromdm/scep/v2/cmd/scepclient@$version"
echo "$version" >"$folder/.scepclient"
echo "$folder/bin/scepclient is ready"
