#!/bin/sh
# base-images.sh: the same steps for any other service, and for cron. Each runs in a checkout, with the credentials of its
# role in the environment.
#
#   check     no credentials: the manifest is valid, and every build stays home
#   plan      plan role: plan.md for a comment, plan.html to look at
#   review    plan role, on main: plan.toolkit, exactly which is applied later, and plan.html. Exit 2: there is something
#             to apply; 8: the same, and somebody else overwrote a tag in ECR
#   apply     apply role, on main, after approval: applies the plan.toolkit in the current folder
#   nightly   plan role: fails where AWS or upstream differ from the manifest (2, or 8), and changes nothing
#
# plan.toolkit is signed with TOOLKIT_PLAN_KEY (`openssl rand -hex 32`), and has Terraform's state in it.
set -eu

case "${1:-}" in
  check)
    toolkit validate
    toolkit scan --check --output sarif=scan.sarif .
    ;;
  plan)
    toolkit plan --lock-timeout 10m --output markdown=plan.md --output html=plan.html
    ;;
  review)
    code=0
    toolkit plan --detailed-exitcode --lock-timeout 10m --out plan.toolkit || code=$?
    test ! -f plan.toolkit || toolkit show plan.toolkit --output html=plan.html > /dev/null
    exit "$code"
    ;;
  apply)
    # The checkout's commit stays what it was when the run began. Main may have moved while the plan was reviewed.
    main=$(git ls-remote origin refs/heads/main | cut -f 1)
    # 6: the infrastructure stands, some image is not in place yet. The same file does the rest.
    for pause in 60 300 end; do
      code=0
      toolkit apply plan.toolkit --require-commit "$main" --lock-timeout 10m || code=$?
      if [ "$code" -ne 6 ] || [ "$pause" = end ]; then exit "$code"; fi
      sleep "$pause"
    done
    ;;
  nightly)
    toolkit plan --detailed-exitcode --lock-timeout 10m
    ;;
  *)
    echo "usage: base-images.sh check|plan|review|apply|nightly" >&2
    exit 64
    ;;
esac
