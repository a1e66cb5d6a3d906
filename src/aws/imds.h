/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_IMDS_H
#define AWS_IMDS_H

#include <stdbool.h>

#include "base/buf.h"

struct aws;
struct err;

/*
 * EC2 instance metadata, version 2 only:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
struct imds;

enum imds_state {
    IMDS_FOUND,
    IMDS_ABSENT,    /* no such service here: not EC2, or turned off */
    IMDS_NOT_FOUND, /* the service says that there is no such thing */
    IMDS_FAILED
};

/* Where it is asked for, without a slash at the end. ERR_CONFIG. */
#define IMDS_URL_MAX 512
int imds_endpoint(const struct aws *aws, char out[IMDS_URL_MAX], struct err *err);

/* Whether AWS_EC2_METADATA_DISABLED forbids to ask it. ERR_CONFIG. */
int imds_disabled(const struct aws *aws, bool *disabled, struct err *err);

/* Opens a session: gets its token. Anything but IMDS_FOUND says why in *err. */
enum imds_state imds_open(struct imds **out, const struct aws *aws, struct err *err);

/* Appends the value at path, below /latest/meta-data/; never IMDS_ABSENT. */
enum imds_state imds_get(struct imds *imds, const char *path, struct buf *out, struct err *err);

/* NULL is allowed. */
void imds_close(struct imds *imds);

#endif
