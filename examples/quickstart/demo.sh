#!/bin/sh
# The whole product on a laptop: no AWS account, no Docker, not one request to Docker Hub.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
export TOOLKIT_SANDBOX="$work/sandbox" TOOLKIT_WORK_DIR="$work/terraform" TOOLKIT_CACHE_DIR="$work/cache"
trap 'toolkit sandbox down >/dev/null 2>&1 || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cp images.yaml "$work" # the first plan writes a lock file beside it
cd "$work"

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

show toolkit sandbox up -f images.yaml
printf '\n$ eval "$(toolkit sandbox env)"\n'
exports=$(toolkit sandbox env)
eval "$exports"
show toolkit plan
show toolkit apply --auto-approve
show toolkit plan --detailed-exitcode
show toolkit lock
show toolkit sandbox bump nginx:1.16
show toolkit lock
show toolkit status
show toolkit seed
show toolkit rollback nginx:1.16 --reason 'the new one breaks the build'
show toolkit seed
show toolkit sandbox status
show toolkit sandbox down
