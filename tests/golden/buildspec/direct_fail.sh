<begin.sh>

region=eu-west-1
account_id=123456789012

each_image() {
 "$@" nginx:1.16 docker-hub/library/nginx:1.16
 "$@" docker.io/library/nginx:1.16 docker-hub/library/nginx:1.16
 "$@" quay.io/prometheus/node-exporter:v1.8.2 quay/prometheus/node-exporter:v1.8.2
}

build=web
on_miss=fail
closes_every_upstream=no
serves_own_platform_only=no
takes_names_literally=no
dockerfiles_are_listed=yes

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

<dockerfile_rewrite.awk>
'

<ecr.sh>

<door.sh>

<dockerfiles.sh>

<direct.sh>

find_registry
close_docker_hub
check_daemon
log_in
rewrite_dockerfiles
wait_for_door
