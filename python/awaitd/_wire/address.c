/* Addresses, methods and paths of requests as objects; addresses are cached, since a connection's come with each request. */
#include "state.h"

#include <arpa/inet.h>

static const char *const usual_methods[METHOD_COUNT] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};

static PyObject *new_method(struct span method)
{
    char upper[256];
    for (uint32_t i = 0; i < method.length; i++)
        upper[i] = (char)Py_TOUPPER(method.start[i]);
    return PyUnicode_DecodeLatin1(upper, method.length, NULL);
}

PyObject *method_object(State *s, struct span method)
{
    for (int i = 0; i < METHOD_COUNT; i++) {
        const char *usual = usual_methods[i];
        if (method.length != strlen(usual) || memcmp(method.start, usual, method.length))
            continue;
        if (!s->methods[i])
            s->methods[i] = PyUnicode_InternFromString(usual);
        return Py_XNewRef(s->methods[i]);
    }
    return new_method(method);
}

static uint32_t address_slot(struct endpoint_address a)
{
    uint32_t hash = a.port * 2654435761u ^ load32(a.bytes) ^ load32(a.bytes + 12);
    return (hash ^ hash >> 16) % ADDRESS_CACHE;
}

static PyObject *host_text(struct endpoint_address a)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(a.family == FAMILY_IPV4 ? AF_INET : AF_INET6, a.bytes, text, sizeof text))
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyUnicode_FromString(text);
}

static int address_fill(struct cached_address *entry, struct endpoint_address a)
{
    PyObject *host = host_text(a);
    PyObject *tuple = host ? Py_BuildValue("(Oi)", host, (int)a.port) : NULL;
    if (!tuple) {
        Py_XDECREF(host);
        return -1;
    }
    Py_XSETREF(entry->tuple, tuple);
    Py_XSETREF(entry->host, host);
    Py_CLEAR(entry->port_text);
    entry->family = a.family;
    entry->port = a.port;
    memcpy(entry->bytes, a.bytes, sizeof entry->bytes);
    return 0;
}

struct cached_address *address_find(State *s, struct endpoint_address a)
{
    struct cached_address *entry = &s->addresses[address_slot(a)];
    bool hit = entry->tuple && entry->port == a.port && entry->family == a.family && !memcmp(entry->bytes, a.bytes, 16);
    return hit || address_fill(entry, a) == 0 ? entry : NULL;
}

PyObject *address_tuple(State *s, struct endpoint_address a)
{
    if (a.family != FAMILY_IPV4 && a.family != FAMILY_IPV6)
        Py_RETURN_NONE;
    struct cached_address *entry = address_find(s, a);
    return entry ? Py_NewRef(entry->tuple) : NULL;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

Py_ssize_t path_unquote(char *out, struct span s)
{
    char *start = out;
    for (uint32_t i = 0; i < s.length; i++) {
        int high = -1, low = -1;
        if (s.start[i] == '%' && i + 2 < s.length) {
            high = hex_digit(s.start[i + 1]);
            low = hex_digit(s.start[i + 2]);
        }
        bool escape = high >= 0 && low >= 0;
        *out++ = (char)(escape ? high << 4 | low : s.start[i]);
        i += escape ? 2 : 0;
    }
    return out - start;
}

PyObject *tls_object(const struct open *o, PyObject *as)
{
    struct span text = o->extra.length ? open_extra(o, EXTRA_TLS) : (struct span){0};
    if (!text.length)
        Py_RETURN_NONE;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)text.start, text.length);
    PyObject *result = bytes ? PyObject_CallOneArg(as, bytes) : NULL;
    Py_XDECREF(bytes);
    return result;
}
