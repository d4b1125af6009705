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

printf '\n# A lock says which digests are copied. A tag moves upstream, is admitted and copied, and taken back.\n'
python3 - <<'END'
import boto3
boto3.client("s3").create_bucket(
    Bucket="acme-base-images", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
)
END
echo 'lock: s3://acme-base-images/images.lock.yaml' >> images.yaml
show tail -n 1 images.yaml
show toolkit lock
show toolkit sandbox bump python:3.13-slim
show toolkit lock
show toolkit status
show toolkit seed
show toolkit rollback python:3.13-slim --reason 'the new one breaks the build'
show toolkit seed

printf '\n# The same every day, inside AWS: what moves upstream cools down, is admitted, and starts the build that uses it.\n'
sed 's/  - name: web/&\n    rebuild: on_update/' images.yaml > more.yaml
cat >> more.yaml <<'END'
min_age: 2s
refresh:
  schedule: rate(1 day)
  bucket: acme-base-images
  tool: {image: "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/tools/base-image-toolkit:1.0"}
END
mv more.yaml images.yaml
show tail -n 11 images.yaml
show toolkit apply --auto-approve
show toolkit sandbox bump nginx:1.16
show toolkit refresh # it waits
show sleep 2
show toolkit refresh # it moves
printf '\n# The event of the moved tag has started a build.\n'
show toolkit sandbox status | tee status.txt
grep -q 'quickstart-web:.* started by rule/' status.txt # or the demo has failed
show toolkit sandbox down
