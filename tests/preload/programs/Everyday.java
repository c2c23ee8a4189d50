// Threads, garbage collection, direct buffers and compression, in Java.

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Everyday {
  static long garbage(int seed) {
    long sum = 0;
    for (int round = 0; round < 20; round++) {
      Map<String, byte[]> map = new TreeMap<>();
      for (int i = 0; i < 3000; i++) {
        map.put("key" + (i * 31 + seed) % 2003, new byte[i % 500]);
      }
      for (byte[] each : map.values()) sum += each.length;
    }
    return sum;
  }

  static long direct(int seed) {
    CRC32 crc = new CRC32();
    for (int i = 0; i < 40; i++) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(100_000 + i);
      while (buffer.hasRemaining()) buffer.put((byte) (i * seed));
      buffer.flip();
      crc.update(buffer);
    }
    return crc.getValue();
  }

  static boolean packed() throws Exception {
    byte[] data = "some text again ".repeat(50_000).getBytes();
    Deflater deflater = new Deflater(9);
    deflater.setInput(data);
    deflater.finish();
    byte[] small = new byte[data.length];
    int size = deflater.deflate(small);
    deflater.end();
    Inflater inflater = new Inflater();
    inflater.setInput(small, 0, size);
    byte[] back = new byte[data.length];
    boolean same = inflater.inflate(back) == data.length
        && java.util.Arrays.equals(back, data);
    inflater.end();
    return same;
  }

  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    List<Future<Long>> sums = new ArrayList<>();
    for (int i = 1; i <= 8; i++) {
      int seed = i;
      sums.add(pool.submit(() -> seed % 2 == 0 ? garbage(seed) : direct(seed)));
    }
    for (Future<Long> sum : sums) System.out.println("task " + sum.get());
    pool.shutdown();
    System.gc();
    System.out.println("zlib " + packed());
    Process echo = new ProcessBuilder("echo", "hello").start();
    System.out.println("child "
        + new String(echo.getInputStream().readAllBytes()).trim() + " "
        + echo.waitFor());
  }
}
