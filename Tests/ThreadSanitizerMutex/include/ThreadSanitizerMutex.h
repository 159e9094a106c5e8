// Nothing is called from outside: the linker puts the function of Mutex.c in the place of the library's.
