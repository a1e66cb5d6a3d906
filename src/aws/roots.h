/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ROOTS_H
#define AWS_ROOTS_H

struct anchors;
struct config;
struct err;

/*
 * The trust anchors for AWS: those of the PEM file that AWS_CA_BUNDLE names, else the built-in five
 * of Amazon Trust Services (https://www.amazontrust.com/repository/): Amazon Root CA 1 to 4 and
 * Starfield Services Root CA G2.
 */
struct anchors *roots_load(const struct config *config, struct err *err);

#endif
