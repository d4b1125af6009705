# The default configuration of docker-container builders that the build makes for itself.
write_builder_defaults() {
  folder=${BUILDX_CONFIG:-${DOCKER_CONFIG:-${HOME:-/root}/.docker}/buildx}
  if ! [ -e "$folder/buildkitd.default.toml" ]; then
    mkdir -p "$folder" && each_upstream mirror_of >"$folder/buildkitd.default.toml" ||
      give_up "cannot write $folder/buildkitd.default.toml"
  fi
}
