/* What Node.js cannot do itself and a daemon needs: datagrams to the service manager (Node has no Unix datagram
 * sockets, and systemd-notify(1) costs a process each time), who is at the other end of a Unix socket, and no core
 * dumps. A Node-API module, because the FFI takes fifty times as long to load; loaded only where it is used. */
#define _GNU_SOURCE
#define NAPI_VERSION 8

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The service manager reads no longer ones (sd-daemon: NOTIFY_BUFFER_MAX is PIPE_BUF). */
#define NOTIFICATION_MAX 4096

/* A path, or with "@" in front the name of an abstract socket; shorter than sun_path. Answers with 0 or an errno. */
static int notify(const char *path, size_t path_size, const char *text, size_t text_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size;
    int descriptor;
    int failure = 0;

    memcpy(address.sun_path, path, path_size);
    size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    else
        size += 1;
    descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return errno;
    /* A manager that does not read must not hold up the event loop. */
    if (sendto(descriptor, text, text_size, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, size) < 0)
        failure = errno;
    close(descriptor);
    return failure;
}

static napi_value number(napi_env env, int64_t value)
{
    napi_value result = NULL;

    napi_create_int64(env, value, &result);
    return result;
}

/* The first `count` arguments; false when there are fewer. */
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values)
{
    size_t found = count;

    return napi_get_cb_info(env, info, &found, values, NULL, NULL) == napi_ok && found >= count;
}

/* notify(path, text) → 0, or the errno of what failed. */
static napi_value call_notify(napi_env env, napi_callback_info info)
{
    napi_value values[2];
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    char text[NOTIFICATION_MAX];
    size_t path_size = 0;
    size_t text_size = 0;

    /* Their sizes first: what does not fit would be cut, and a path that was cut is another one. */
    if (!arguments(env, info, 2, values) ||
        napi_get_value_string_utf8(env, values[0], NULL, 0, &path_size) != napi_ok ||
        napi_get_value_string_utf8(env, values[1], NULL, 0, &text_size) != napi_ok)
        return number(env, EINVAL);
    if (path_size == 0 || path_size >= sizeof path)
        return number(env, ENAMETOOLONG);
    if (text_size >= sizeof text)
        return number(env, EMSGSIZE);
    if (napi_get_value_string_utf8(env, values[0], path, sizeof path, &path_size) != napi_ok ||
        napi_get_value_string_utf8(env, values[1], text, sizeof text, &text_size) != napi_ok)
        return number(env, EINVAL);
    return number(env, notify(path, path_size, text, text_size));
}

/* peer(descriptor) → { pid, uid, gid } as they were when the peer connected; undefined when it is no such socket. */
static napi_value call_peer(napi_env env, napi_callback_info info)
{
    napi_value values[1];
    napi_value result = NULL;
    int32_t descriptor = -1;
    struct ucred credentials;
    socklen_t size = sizeof credentials;

    if (!arguments(env, info, 1, values) || napi_get_value_int32(env, values[0], &descriptor) != napi_ok ||
        getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 ||
        credentials.uid == (uid_t)-1 || napi_create_object(env, &result) != napi_ok)
        return NULL;
    napi_set_named_property(env, result, "pid", number(env, credentials.pid));
    napi_set_named_property(env, result, "uid", number(env, credentials.uid));
    napi_set_named_property(env, result, "gid", number(env, credentials.gid));
    return result;
}

/* makeUndumpable() → 0 or an errno: no core file, and no debugger of the same user, sees the memory with the keys. */
static napi_value call_make_undumpable(napi_env env, napi_callback_info info)
{
    (void)info;
    return number(env, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : errno);
}

NAPI_MODULE_INIT()
{
    const struct {
        const char *name;
        napi_callback call;
    } functions[] = {
        {"notify", call_notify},
        {"peer", call_peer},
        {"makeUndumpable", call_make_undumpable},
    };

    for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
        napi_value function;

        if (napi_create_function(env, functions[index].name, NAPI_AUTO_LENGTH, functions[index].call, NULL,
                                 &function) != napi_ok ||
            napi_set_named_property(env, exports, functions[index].name, function) != napi_ok)
            return NULL;
    }
    return exports;
}
