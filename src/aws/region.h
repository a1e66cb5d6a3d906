/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_REGION_H
#define AWS_REGION_H

#include <stddef.h>

struct aws;
struct err;

/*
 * The region of a secret: of its ARN, then --region, AWS_REGION, AWS_DEFAULT_REGION, the profile in
 * use, then instance metadata (placement/region). ERR_REGION_MISSING. Checked to be a region's
 * form: it becomes part of a host name. aws->region comes before all of these.
 */
#define REGION_MAX 64
int region_resolve(const struct aws *aws, const char *secret_id, char out[REGION_MAX],
                   struct err *err);

/*
 * The region for requests about no secret, those to STS: what the user chose; else that of the
 * first secret that is given by its ARN; else the instance's.
 */
int region_of_session(const struct aws *aws, char out[REGION_MAX], struct err *err);

/*
 * The ARN of a secret's replica in another region; a name stays as it is. Cut where it does not
 * fit.
 */
void region_move(char *out, size_t size, const char *secret_id, const char *region);

#endif
