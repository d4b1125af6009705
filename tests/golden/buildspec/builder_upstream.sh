<begin.sh>

region=eu-west-1
account_id=123456789012

each_image() {
 "$@" nginx:1.16 docker-hub/library/nginx:1.16
 "$@" docker.io/library/nginx:1.16 docker-hub/library/nginx:1.16
 "$@" quay.io/prometheus/node-exporter:v1.8.2 quay/prometheus/node-exporter:v1.8.2
 "$@" moby/buildkit:buildx-stable-1 docker-hub/moby/buildkit:buildx-stable-1
}

each_upstream() {
 "$@" docker.io registry-1.docker.io docker-hub
 "$@" registry-1.docker.io registry-1.docker.io docker-hub
 "$@" registry.hub.docker.com registry-1.docker.io docker-hub
 "$@" quay.io quay.io quay
}

buildkit=docker-hub/moby/buildkit:buildx-stable-1

<ecr.sh>

<mirrors.sh>

<builder.sh>

find_registry
check_daemon
log_in
make_builder
