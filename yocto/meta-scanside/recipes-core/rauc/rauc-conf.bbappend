# The certificate authority of who builds the image. RAUC wants its name here and the path elsewhere (scanside-bundle).
RAUC_KEYRING_FILE:scanside-os = "ca.cert.pem"
RAUC_KEYRING_URI:scanside-os = "file://${SCANSIDE_KEYS}/ca.cert.pem"
