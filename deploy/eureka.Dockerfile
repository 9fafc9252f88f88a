# syntax=docker/dockerfile:1
# The Eureka server of servers/eureka.java as an image: there is no official one.

FROM maven:3.9-eclipse-temurin-17 AS build
WORKDIR /build
COPY servers/eureka.xml pom.xml
COPY servers/eureka.java ./
RUN mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory=/opt/eureka/lib \
    && javac -proc:none -cp "/opt/eureka/lib/*" -d /opt/eureka/classes eureka.java

FROM eclipse-temurin:17-jre
COPY --from=build /opt/eureka /opt/eureka
RUN useradd --system --uid 10001 eureka
USER 10001
EXPOSE 8761
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8761/eureka/apps"]
ENTRYPOINT ["java", "-cp", "/opt/eureka/classes:/opt/eureka/lib/*", "amends.Eureka"]
CMD ["--server.port=8761", "--eureka.client.register-with-eureka=false", "--eureka.client.fetch-registry=false"]
