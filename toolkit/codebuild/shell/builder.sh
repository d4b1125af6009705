make_builder() {
  builder_config=$(mktemp) || give_up "no temporary file"
  each_upstream mirror_of >"$builder_config"
  command docker buildx rm --force toolkit >/dev/null 2>&1 || : # from an earlier try
  command docker buildx create --name toolkit --driver docker-container --driver-opt "image=$registry/$buildkit" \
    --driver-opt default-load=true --buildkitd-config "$builder_config" --bootstrap ||
    give_up "cannot make a builder of $registry/$buildkit"
  rm -f "$builder_config"
  export BUILDX_BUILDER=toolkit
}
