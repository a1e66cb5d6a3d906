/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/roots.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/amazon_roots.h"
#include "aws/aws.h"
#include "aws/profile.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/trust.h"
#include "config/config.h"
#include "x509/pem.h"
#include "x509/verify.h"

enum { FILE_MAX = 1 << 20, ROOTS_MAX = 512 };

/* A PEM file's certificates, views into der. Public, so on the ordinary heap. */
struct bundle_file {
    struct buf text, der;
    struct bytes root[ROOTS_MAX];
    size_t count;
};

static int decode(struct bundle_file *file, const char *path, struct err *err)
{
    struct pem_list list = {.cert = file->root, .max = ROOTS_MAX};
    const enum pem_found found = pem_certificates(&list, buf_bytes(&file->text), &file->der);

    file->count = list.count;
    if (found == PEM_BLOCK)
        return err_set(err, CAUSE_CA_BUNDLE, path, "it has more than %d certificates", ROOTS_MAX);
    if (found == PEM_NO_ROOM)
        return pem_fail(found, &list.bad, path, err);
    if (found < 0)
        return err_set(err, CAUSE_CA_BUNDLE, path, "a PEM block of it is damaged");
    if (file->count == 0)
        return err_set(err, CAUSE_CA_BUNDLE, path, "it holds no PEM certificate");
    return 0;
}

/* Whether the user gave the text itself, and not a file's path. */
static bool is_pem(const char *bundle)
{
    return strncmp(bundle, "-----BEGIN ", 11) == 0;
}

/* Who could have written it decides which server is taken for AWS. */
static int read_text(struct bundle_file *file, const char *bundle, struct err *err)
{
    struct trust trust = {.also = TRUST_NOBODY};

    if (is_pem(bundle)) {
        if (buf_append_text(&file->text, bundle) < 0)
            return err_set(err, ERR_MEMORY_FULL, "ca-bundle", "no room for it");
        return 0;
    }
    if (trust_read(bundle, &file->text, &trust) < 0)
        return err_set(err,
                       errno == ENOMEM ? ERR_MEMORY_FULL : err_of_errno(errno, CAUSE_CA_BUNDLE),
                       bundle, "the CA bundle cannot be read: %s", trust.why);
    return 0;
}

static struct anchors *read_anchors(struct bundle_file *file, const char *path, struct err *err)
{
    struct err cause = {0};
    struct anchors *anchors;

    if (read_text(file, path, err) < 0)
        return NULL;
    if (is_pem(path))
        path = "ca-bundle";
    if (decode(file, path, err) < 0)
        return NULL;
    anchors = anchors_new(file->root, file->count, &cause);
    if (anchors == NULL)
        (void)err_set(err, cause.code == ERR_MEMORY_FULL ? ERR_MEMORY_FULL : CAUSE_CA_BUNDLE, path,
                      "%s", cause.reason);
    return anchors;
}

/* The bundle that the user chose; NULL: none. */
static const char *chosen(const struct aws *aws)
{
    const char *bundle = aws->config->ca_bundle;

    return bundle ? bundle : profile_setting(aws, "AWS_CA_BUNDLE", "ca_bundle");
}

struct anchors *roots_load(const struct aws *aws, struct err *err)
{
    const char *path = chosen(aws);
    struct anchors *anchors;
    struct bundle_file *file;

    if (path == NULL)
        return anchors_new(amazon_roots, AMAZON_ROOTS, err);
    file = calloc(1, sizeof *file);
    if (file == NULL) {
        (void)err_set(err, ERR_MEMORY_FULL, path, "no memory to read it");
        return NULL;
    }
    file->text = (struct buf){.max = FILE_MAX, .public = true};
    file->der = (struct buf){.max = FILE_MAX, .public = true};
    anchors = read_anchors(file, path, err);
    buf_free(&file->text);
    buf_free(&file->der);
    free(file);
    return anchors;
}

enum verify_profile roots_profile(const struct aws *aws)
{
    return chosen(aws) == NULL ? VERIFY_STRICT : VERIFY_PRIVATE;
}
