/* A name server that knows every IPv4 address and answers at once: preloaded into a program, 10.1.2.3 is host-10-1-2-3. */

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

int getnameinfo(const struct sockaddr *restrict address, socklen_t length, char *restrict host, socklen_t host_length,
                char *restrict service, socklen_t service_length, int flags) {
    (void)length, (void)service, (void)service_length, (void)flags;
    if (address->sa_family != AF_INET)
        return EAI_NONAME;
    const unsigned char *part = (const unsigned char *)&((const struct sockaddr_in *)address)->sin_addr;
    snprintf(host, host_length, "host-%d-%d-%d-%d", part[0], part[1], part[2], part[3]);
    if (service && service_length)
        snprintf(service, service_length, "0");
    return 0;
}
