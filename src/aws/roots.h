/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ROOTS_H
#define AWS_ROOTS_H

#include "x509/verify.h"

struct aws;

/*
 * The trust anchors for AWS: those of ca-bundle, else of the PEM file that AWS_CA_BUNDLE, or the
 * profile's ca_bundle, names, else the built-in five of Amazon Trust Services
 * (https://www.amazontrust.com/repository/): Amazon Root CA 1 to 4 and Starfield Services Root CA
 * G2. ERR_CONFIG, ERR_MEMORY_FULL.
 */
struct anchors *roots_load(const struct aws *aws, struct err *err);

/*
 * How to verify under them: Amazon's as STRICT; the user's, a proxy's or an emulator's own
 * CA, as PRIVATE.
 */
enum verify_profile roots_profile(const struct aws *aws);

#endif
