# Not tested. Takes the Debian package (`npm run package`, laid into files/ beside this recipe) apart: it carries its own
# Node.js, and needs glibc and, from meta-tpm, tpm2-tss.
SUMMARY = "Provisioning agent for IoT gateways with a TPM 2.0 or a certificate"
LICENSE = "MIT & BSD-3-Clause & ISC"
# Of the copyright file, what is ours; the rest changes with every dependency.
LIC_FILES_CHKSUM = "file://usr/share/doc/mooring/copyright;beginline=7;endline=30;md5=6af4bbf83565d431736bf9936b507bdd"

DEB_ARCH:x86-64 = "amd64"
DEB_ARCH:aarch64 = "arm64"
SRC_URI = "file://mooring_${PV}_${DEB_ARCH}.deb;subdir=${BP}"
COMPATIBLE_HOST = "(x86_64|aarch64).*-linux"

inherit bin_package systemd useradd

RDEPENDS:${PN} = "util-linux-setpriv libgcc libstdc++ libcrypto tpm2-tss libtss2 libtss2-mu libtss2-tcti-device"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system tss; --system mooring"
USERADD_PARAM:${PN} = "--system --gid mooring --groups tss --home-dir /var/lib/mooring --no-create-home --shell /sbin/nologin mooring"

SYSTEMD_SERVICE:${PN} = "mooring.service mooring.socket mooring.path mooring.timer mooring-changed.path mooring-changed.service"
CONFFILES:${PN} = "${sysconfdir}/mooring/config.toml"
FILES:${PN} += "${systemd_system_unitdir} ${nonarch_libdir} ${datadir}"
# The licences of what is in the program go where it goes.
FILES:${PN}-doc = "${mandir}"

# Linked and stripped by whoever made the package.
INSANE_SKIP:${PN} += "already-stripped ldflags"
INHIBIT_PACKAGE_STRIP = "1"

do_install:append() {
    install -m 0644 ${D}${datadir}/mooring/config.toml ${D}${sysconfdir}/mooring/config.toml
    rm -rf ${D}${datadir}/lintian
    cd ${D}${docdir}/mooring && rm -rf examples NEWS.gz changelog.gz
}
