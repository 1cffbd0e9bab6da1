/* The watchdog: a thread that never takes the GIL. When the server's end of the control socket closes it kills the process
 * group, so nothing outlives the server: no worker in `while True: pass`, no child that the application forked. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "state.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

static void *watch(void *argument)
{
    struct pollfd control = {(int)(intptr_t)argument, POLLRDHUP, 0};
    while (poll(&control, 1, -1) < 0 && errno == EINTR) {
    }
    if (getpgrp() == getpid())
        kill(0, SIGKILL);
    kill(getpid(), SIGKILL);
    return NULL;
}

PyObject *watchdog_start(PyObject *Py_UNUSED(module), PyObject *fd)
{
    pthread_t thread;
    sigset_t all, before;
    long number = PyLong_AsLong(fd);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    /* A descriptor of its own: the interpreter closes the other one while it ends. */
    int own = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    /* Signals are for the main thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, watch, (void *)(intptr_t)own);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        close(own);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    pthread_detach(thread);
    Py_RETURN_NONE;
}
