/* Built against the installed tree: the header is found, the library is linked, and both agree. */
#include <ottla.h>
#include <stdio.h>

int main(void) {
    if (ottla_abi_version() != OTTLA_ABI_VERSION) {
        fprintf(stderr, "ABI %u, header %u\n", (unsigned)ottla_abi_version(), (unsigned)OTTLA_ABI_VERSION);
        return 1;
    }
    printf("C, Ottla %s\n", ottla_version());
    return 0;
}
