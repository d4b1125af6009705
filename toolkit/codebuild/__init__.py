"""What runs inside CodeBuild: the text of a buildspec, and what a Dockerfile starts from; pure.

Everything that happens in a build container is decided here and happens there: no module of this package runs
anything. The shell text stands on `aws`, `docker` and what POSIX has: `sh`, `awk` and a few small programs.
"""
