import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.strimzi.api.kafka.model.common.UnknownPropertyPreserving;
import io.strimzi.api.kafka.model.kafka.Kafka;
import io.strimzi.api.kafka.model.nodepool.KafkaNodePool;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import io.strimzi.api.kafka.model.user.KafkaUser;
import java.lang.reflect.Method;
import java.util.Collection;
import java.util.Map;

/** Reads a JSON list of resources as Strimzi's operator reads them; prints each field that its model does not have, or can't read. */
public class Check {
    static final Map<String, Class<?>> KINDS =
        Map.of("Kafka", Kafka.class, "KafkaNodePool", KafkaNodePool.class, "KafkaTopic", KafkaTopic.class, "KafkaUser", KafkaUser.class);

    public static void main(String[] arguments) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        for (JsonNode resource : mapper.readTree(System.in)) {
            String name = resource.path("kind").asText() + " " + resource.path("metadata").path("name").asText();
            try {
                unknown(name, mapper.treeToValue(resource, KINDS.get(resource.path("kind").asText())));
            } catch (com.fasterxml.jackson.core.JsonProcessingException exception) {
                System.out.println(name + ": " + exception.getOriginalMessage());
            }
        }
    }

    static void unknown(String path, Object value) throws Exception {
        if (value instanceof Collection<?> items) {
            for (Object item : items) {
                unknown(path + "[]", item);
            }
        } else if (value != null && value.getClass().getName().startsWith("io.strimzi.") && !value.getClass().isEnum()) {
            if (value instanceof UnknownPropertyPreserving open) {
                open.getAdditionalProperties().keySet().forEach(key -> System.out.println(path + "." + key + ": no such field"));
            }
            for (Method getter : value.getClass().getMethods()) {
                if (getter.getName().startsWith("get") && getter.getParameterCount() == 0 && !getter.getName().equals("getClass")) {
                    unknown(path + "." + getter.getName().substring(3), getter.invoke(value));
                }
            }
        }
    }
}
