// Runs an embedded broker: prints its address, then goes on until its standard input ends.
#include <ottla.hpp>

#include <iostream>

int main() {
    const ottla::testing::Broker broker({{"auto.create.topics", true}});
    std::cout << broker.bootstrap_servers() << std::endl;
    while (std::cin.get() != std::char_traits<char>::eof()) {
    }
}
