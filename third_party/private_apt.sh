# private_apt.sh: sourced by the get-* scripts. Lets apt fetch from a Debian suite of our choice
# without touching the host: private configuration, private lists, private cache, nothing installed.
# No mirror is named: the one that this machine's apt is configured with is asked for the suite.
# What arrives is checked by apt against the suite's signed index, the signature against Debian's
# own keyring. Works as root and as an ordinary user. Expects bash with "set -euo pipefail".
#
#   papt_init DIR            use DIR (ours alone, may be removed afterwards)
#   papt_update TYPE SUITE   TYPE is deb or deb-src; the first mirror that serves the suite wins
#   papt ARGUMENT...         apt-get in that world
# shellcheck shell=bash

PAPT_KEYRING=${ONNXOPT_DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

papt_init() { # DIR
    PAPT_DIR=$1
    mkdir -p "$PAPT_DIR"/lists/partial "$PAPT_DIR"/cache/archives/partial "$PAPT_DIR"/sources
}

# What the configured apt knows as Debian's main archive. The first form needs that
# "apt-get update" has run once, the second works with empty lists.
papt_mirrors() {
    {
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
            'Label: Debian' 2>/dev/null || true
        apt-get update --print-uris 2>/dev/null |
            sed -nE "s,^'([^']*/)dists/[^/']+/InRelease'.*,\1,p" || true
    } | awk 'NF && !seen[$0]++'
}

# The machine's proxy settings and the like still hold: APT_CONFIG is read after apt.conf.d.
papt_config() { # TYPE SUITE MIRROR
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
        "$1" "$3" "$2" "$PAPT_KEYRING" >"$PAPT_DIR/sources/debian.sources"
    cat >"$PAPT_DIR/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "$PAPT_DIR";
Dir::State::lists "$PAPT_DIR/lists";
Dir::State::status "/dev/null";
Dir::Cache "$PAPT_DIR/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$PAPT_DIR/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
CONF
    [ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$PAPT_DIR/apt.conf"
}

papt() { APT_CONFIG=$PAPT_DIR/apt.conf apt-get -q "$@"; }

papt_update() { # TYPE SUITE; what went wrong is in $PAPT_DIR/log and on stderr
    local m
    : >"$PAPT_DIR/log"
    while read -r m; do
        papt_config "$1" "$2" "$m"
        if papt update >>"$PAPT_DIR/log" 2>&1; then return 0; fi
    done < <(papt_mirrors)
    cat "$PAPT_DIR/log" >&2
    if grep -q NO_PUBKEY "$PAPT_DIR/log"; then
        echo "the keyring is older than $2: update the package debian-archive-keyring" >&2
    fi
    return 1
}
