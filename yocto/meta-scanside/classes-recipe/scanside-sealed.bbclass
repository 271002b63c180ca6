# Image type "ext4.sealed": the file system, followed by a signed description of its dm-verity tree, and by that tree.
# scanside-seal writes it, scanside-unseal (in the initial RAM disk) checks it. The root hash is thus data of the slot: neither the
# command line nor the initial RAM disk has to know it, and both may lie in the file system that it describes.

CONVERSIONTYPES:append = " sealed"
CONVERSION_DEPENDS_sealed = "scanside-seal-native cryptsetup-native openssl-native"
CONVERSION_CMD:sealed = "\
    cp ${IMAGE_NAME}.${type} ${IMAGE_NAME}.${type}.sealed && \
    scanside-seal ${IMAGE_NAME}.${type}.sealed ${RAUC_KEY_FILE} ${RAUC_CERT_FILE} \
"
