/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "aws/environment.h"
#include "aws/url.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secrecy.h"
#include "config/config.h"
#include "config/config_values.h"
#include "config/no_proxy.h"

#define SCHEME "http://"

static bool is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n")] == '\0';
}

/* A variable that has two spellings, of which the lower-case one wins. */
static const char *variable(const struct aws *aws, const char *lower, const char *upper)
{
    const char *value = getenv(lower);

    return is_blank(value) ? config_variable(aws->config, upper) : value;
}

/* The proxy's URL as the user wrote it; *password where it came with one. NULL: none. */
static const char *choose_proxy(const struct aws *aws, const char **password)
{
    const struct environment *environment = aws->environment;

    if (aws->config->proxy)
        return aws->config->proxy;
    if (environment && environment->proxy && is_blank(getenv("https_proxy"))) {
        *password = environment->proxy_password;
        return environment->proxy;
    }
    return variable(aws, "https_proxy", "HTTPS_PROXY");
}

/* An entry that is not understood fits nothing, and is not passed over in silence. */
static void log_ignored(const char *list)
{
    char shown[64], entry[64];
    const char *at;
    size_t len;

    while (list && (at = no_proxy_strange(&list, &len)) != NULL) {
        (void)snprintf(entry, sizeof entry, "%.*s", (int)len, at);
        log_event(LOG_LEVEL_WARNING, "no_proxy_ignored",
                  log_s("entry", secrecy_shown(entry, shown, sizeof shown)));
    }
}

int proxy_read(struct proxy *proxy, const struct aws *aws, struct err *err)
{
    const char *text = choose_proxy(aws, &proxy->http.password), *why, *end;
    char shown[256];
    struct url url;
    size_t len;

    if (!text)
        return 0;
    why = value_proxy(text);
    if (why)
        return err_set(err, ERR_CONFIG, "HTTPS_PROXY", "\"%.200s\" %s",
                       secrecy_shown(text, shown, sizeof shown), why);
    if (strncasecmp(text, SCHEME, strlen(SCHEME)) == 0)
        text += strlen(SCHEME);
    (void)snprintf(proxy->url, sizeof proxy->url, "%s%s", SCHEME, text);
    if (url_parse(&url, proxy->url) < 0)
        return err_set(err, ERR_CONFIG, "HTTPS_PROXY", "\"%.200s\" is no http:// URL of a host",
                       secrecy_shown(proxy->url, shown, sizeof shown));
    len = strlen(SCHEME) + strcspn(proxy->url + strlen(SCHEME), "/"); /* no path, but a port */
    end = strchr(proxy->url, ']'); /* of an IPv6 address, whose colons are no port's */
    end = strchr(end ? end : proxy->url + strlen(SCHEME), ':');
    (void)snprintf(proxy->url + len, sizeof proxy->url - len, "%s", end ? "" : ":80");
    proxy->http.url = proxy->url;
    proxy->except = aws->config->no_proxy;
    if (!proxy->except)
        proxy->except = variable(aws, "no_proxy", "NO_PROXY");
    log_ignored(proxy->except);
    return 0;
}

const struct http_proxy *proxy_for(const struct proxy *proxy, const struct url *url)
{
    if (!proxy->http.url || !url->tls || no_proxy_fits(proxy->except, url->name, url->port))
        return NULL;
    return &proxy->http;
}
