/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_KEPT_H
#define AWS_KEPT_H

struct credentials;

/* What one conversation with AWS leaves to the next one. Zero-initialise it. */
struct aws_kept {
    struct credentials *credentials; /* that expire, and have not; NULL: none */
};

#endif
