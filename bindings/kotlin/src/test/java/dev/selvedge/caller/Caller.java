package dev.selvedge.caller;

import dev.selvedge.Answer;
import dev.selvedge.Backend;
import dev.selvedge.Call;
import dev.selvedge.Code;
import dev.selvedge.Column;
import dev.selvedge.Engine;
import dev.selvedge.Event;
import dev.selvedge.Generate;
import dev.selvedge.MalformedCall;
import dev.selvedge.Message;
import dev.selvedge.Monitor;
import dev.selvedge.Options;
import dev.selvedge.Profile;
import dev.selvedge.SelvedgeException;
import dev.selvedge.Telemetry;
import dev.selvedge.Tensor;
import dev.selvedge.Tool;
import dev.selvedge.ToolCall;
import dev.selvedge.ToolChoice;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/** A caller in Java, as an app would write it. */
public final class Caller {
    private Caller() {}

    public static float rain(String model) {
        Options options = new Options();
        options.setBackend(Backend.TRACT);
        options.setThreads(1);
        try (Engine engine = Engine.openBlocking(model, options)) {
            Tensor weather = Tensor.of(new float[] {2.5f, 4.4f, 2.2f, 2.2f}, 1, 4);
            try (Answer answer = engine.runBlocking(Map.of("weather", weather), null, new Call())) {
                return answer.get("rain_tomorrow").floats()[0];
            }
        } catch (SelvedgeException e) {
            throw e.getCode() == Code.NOT_FOUND ? new IllegalArgumentException(e.getMessage()) : e;
        }
    }

    public static String chat(String model) {
        StringBuilder text = new StringBuilder();
        Generate request = new Generate("The capital of France is");
        request.setMaxTokens(6);
        try (Engine engine = Engine.openBlocking(model);
                Answer answer = engine.generateBlocking(request, new Call(), event -> {
                    if (event instanceof Event.Text piece) {
                        text.append(piece.getText());
                    }
                })) {
            return answer.getText().contentEquals(text) ? text.toString() : "another text than was told";
        }
    }

    /** The name of the tool that is called, how often it was told, what is called after its result, and a score. */
    public static String tools(String model) {
        String schema = "{\"type\": \"object\", \"properties\": {\"zone\": {\"enum\": [\"UTC\", \"CET\"]}},"
                + " \"required\": [\"zone\"]}";
        List<Tool> tools = List.of(new Tool("clock", "The time in a zone.", schema), new Tool("alarm"));
        Message question = Message.user("What time is it in Oslo?");
        Generate request = Generate.chat(question);
        request.setTools(tools);
        request.setToolChoice(ToolChoice.named("clock"));
        request.setMaxTokens(80);
        request.setBias(Map.of(1, 0.5f));
        request.setBan(Set.of(2));
        Options options = new Options();
        options.setContextTokens(1024);
        options.setAdapters(Map.of());
        AtomicInteger told = new AtomicInteger();
        try (Engine engine = Engine.openBlocking(model, options);
                Answer answer = engine.generateBlocking(request, new Call(), event -> {
                    if (event instanceof ToolCall call && call.getArguments().contains("zone")) {
                        told.incrementAndGet();
                    } else if (event instanceof MalformedCall malformed) {
                        throw new IllegalStateException(malformed.getReason());
                    }
                })) {
            ToolCall call = answer.getToolCalls().get(0);
            Message said = Message.assistant(answer.getText(), answer.getToolCalls());
            Generate then = Generate.chat(List.of(question, said, Message.resultOf(call, "It is noon.")));
            then.setTools(tools);
            then.setToolChoice(ToolChoice.NONE);
            then.setMaxTokens(4);
            try (Answer last = engine.generateBlocking(then)) {
                boolean likelier = engine.scoreBlocking(new Generate("The capital of France is"), List.of(" Paris"))
                        .getGreedy()[0];
                return call.getName() + " " + told.get() + " " + last.getToolCalls().size() + " " + likelier;
            }
        }
    }

    public static int drift(String model, String folder) {
        double[] home = new double[2000];
        for (int i = 0; i < home.length; i++) {
            home[i] = i % 10;
        }
        String config = "{\"probe\": {\"kind\": \"columns\", \"input\": \"weather\", \"names\": [\"a\", \"b\", \"c\", \"d\"]},"
                + " \"window\": 64, \"persistence\": [1, 1]}";
        AtomicInteger alerts = new AtomicInteger();
        List<Column> columns =
                List.of(Column.of("a", home), Column.of("b", home), Column.of("c", home), Column.of("d", home));
        try (Engine engine = Engine.openBlocking(model);
                Telemetry telemetry = Telemetry.open(folder);
                Profile profile = Profile.fit(columns);
                Monitor monitor = Monitor.of(engine, telemetry, config, profile, alert -> alerts.incrementAndGet())) {
            for (int i = 0; i < 640; i++) {
                Tensor away = Tensor.of(new float[] {50, 50, 50, 50}, 1, 4);
                monitor.getEngine().runBlocking(Map.of("weather", away)).close();
            }
            monitor.closeWindow();
        }
        return alerts.get();
    }
}
