/* What an application hands over as a file to be sent: checked, and its range worked out. */
#ifndef AWAITD_FILE_H
#define AWAITD_FILE_H

#include "state.h"

#include "descriptor.h"

/* Takes file (a descriptor, or an object with fileno()) as a regular file open for reading, from offset (NULL or None: from
 * its position) on, count bytes (NULL or None: to the end; never past it). The part borrows the descriptor. -1 with an
 * exception that names what was expected; what is what the exceptions call the message. May run Python code. */
int file_part_of(struct file_part *part, PyObject *file, PyObject *offset, PyObject *count, const char *what);

/* Opens the file that path (a str, bytes or os.PathLike; NULL: missing) names, whole; it must be a regular one. The caller closes
 * the descriptor. -1 with an exception. */
int file_open(struct file_part *part, PyObject *path, const char *what);

/* Moves the file's position behind the part, as if it had been read. */
void file_part_read(const struct file_part *part);

#endif
