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

build=web
on_miss=fail
closes_every_upstream=yes
serves_own_platform_only=no
takes_names_literally=no
dockerfiles_are_listed=no

each_dockerfile() {
 "$@" Dockerfile
}

each_built() {
 :
}

each_closed() {
 "$@" docker.io
 "$@" ghcr.io
 "$@" public.ecr.aws
 "$@" quay.io
 "$@" registry-1.docker.io
 "$@" registry.hub.docker.com
 "$@" registry.k8s.io
}

dockerfile_program='<dockerfile.awk>

<dockerfile_check.awk>
'

<ecr.sh>

<door.sh>

<dockerfiles.sh>

<check.sh>

<mirrors.sh>

<builder.sh>

<builder_door.sh>

find_registry
close_docker_hub
check_dockerfiles
check_daemon
log_in
make_builder
close_builder
wait_for_door
