package amends;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.netflix.eureka.server.EnableEurekaServer;

/** The whole of a Eureka server: Spring does the rest. */
@EnableEurekaServer
@SpringBootApplication(proxyBeanMethods = false)
class Eureka {
    public static void main(String[] arguments) {
        SpringApplication.run(Eureka.class, arguments);
    }
}
