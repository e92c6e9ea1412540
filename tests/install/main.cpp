// Built against the installed tree: <ottla.hpp> finds <ottla.h>, the library is linked, and both agree.
#include <ottla.hpp>

#include <iostream>

int main() {
    if (ottla_abi_version() != OTTLA_ABI_VERSION) {
        return 1;
    }
    std::cout << "C++, Ottla " << ottla_version() << '\n';
    return 0;
}
