# For `docker buildx build $TOOLKIT_BUILD_CONTEXTS`; none of its words has a space.
export_contexts() {
  TOOLKIT_BUILD_CONTEXTS=
  each_image add_context
  each_dockerfile add_frontend
  export TOOLKIT_BUILD_CONTEXTS
  say "contexts: pass \$TOOLKIT_BUILD_CONTEXTS to docker buildx build"
}

add_context() {
  TOOLKIT_BUILD_CONTEXTS="$TOOLKIT_BUILD_CONTEXTS --build-context $1=docker-image://$registry/$2"
}

# A context cannot replace the image of a `# syntax=` line.
add_frontend() {
  case $TOOLKIT_BUILD_CONTEXTS in
    *BUILDKIT_SYNTAX=*) return ;;
  esac
  if has_dockerfile "$1"; then
    frontend=$(read_dockerfile syntax "$1" 2>/dev/null) || :
    [ -z "$frontend" ] || TOOLKIT_BUILD_CONTEXTS="$TOOLKIT_BUILD_CONTEXTS --build-arg BUILDKIT_SYNTAX=$frontend"
  fi
}
