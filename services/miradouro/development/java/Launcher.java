import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** Starts one OpenSearch node with k-NN: FOLDER HTTP_PORT TRANSPORT_PORT CLUSTER_NAME [SETTING=VALUE ...]; ends on SIGTERM. */
public final class Launcher {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("http.port", arguments[1]);
            settings.put("transport.port", arguments[2]);
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            settings.put("node.roles", "cluster_manager,data,ingest");
            for (int i = 4; i < arguments.length; i++) {
                String[] pair = arguments[i].split("=", 2);
                settings.put(pair[0], pair[1]);
            }
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        runner.build(OpenSearchRunner.newConfigs()
            .basePath(Path.of(arguments[0]).toAbsolutePath().toString())
            .numOfNode(1)
            .clusterName(arguments[3])
            .pluginTypes("org.opensearch.knn.plugin.KNNPlugin"));
        new CountDownLatch(1).await();
    }
}
