"""What runs inside CodeBuild: the text of a buildspec, and the images that a build fetches.

Pure: these modules write and read text, and the build container runs it. The shell text needs `aws`, `docker` and
POSIX programs such as `sh` and `awk`.
"""
