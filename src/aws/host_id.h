/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_HOST_ID_H
#define AWS_HOST_ID_H

struct aws;

/*
 * A name of this host that is unique and does not change: the ARN of its ECS task
 * (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4.html),
 * else the EC2 instance's ID, else the host's name. Asks each for a few seconds at most.
 */
#define HOST_ID_MAX 256
void host_id(const struct aws *aws, char out[HOST_ID_MAX]);

#endif
